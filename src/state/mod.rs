//! What survives a restart: the cluster's objects and the zones' serials, in an embedded transactional store.
