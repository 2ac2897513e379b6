//! The pulse protocol: Piranha's heartbeat, in its original and its present version.
