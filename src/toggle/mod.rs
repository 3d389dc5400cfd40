//! Reading and setting toggles on targets.
