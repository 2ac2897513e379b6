//! The relay data plane: the driver of [`crate::ipvs::relay`].
