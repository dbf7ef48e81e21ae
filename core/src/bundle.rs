//! The documents of a policy repository, with everything that is wrong with them.
