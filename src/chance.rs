//! Randomness as a port: jitter and identifiers, from the system or from a seed.

use std::sync::{Mutex, PoisonError};

use rand::{Rng, RngCore, SeedableRng, rngs::StdRng};

/// Where randomness comes from.
#[derive(Debug)]
pub struct Chance(Mutex<StdRng>);

impl Chance {
    /// Seeded by the system.
    pub fn from_system() -> Self {
        Self(Mutex::new(StdRng::from_os_rng()))
    }

    /// The same numbers for the same seed.
    pub fn from_seed(seed: u64) -> Self {
        Self(Mutex::new(StdRng::seed_from_u64(seed)))
    }

    /// A number in `0.0..1.0`.
    pub fn fraction(&self) -> f64 {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).random::<f64>()
    }

    /// A random (version 4) UUID as text.
    pub fn uuid(&self) -> String {
        let mut bytes = [0_u8; 16];
        self.0.lock().unwrap_or_else(PoisonError::into_inner).fill_bytes(&mut bytes);
        uuid::Builder::from_random_bytes(bytes).into_uuid().to_string()
    }
}
