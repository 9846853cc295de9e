//! Deployments by the pure plan.
