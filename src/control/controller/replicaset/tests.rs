//! ReplicaSets and ReplicationControllers by the pure plan.
