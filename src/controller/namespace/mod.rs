//! The namespace controller: empties a namespace that is deleted before it goes.

mod reconcile;
