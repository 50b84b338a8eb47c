//! Which events go to which endpoints, and through which plugins.
