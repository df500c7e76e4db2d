//! Random bytes for secrets.

use rustix::io::{Errno, retry_on_intr};
use rustix::rand::{GetRandomFlags, getrandom};

/// Fills the whole buffer with bytes fit for keys: `getrandom(2)`.
///
/// # Errors
///
/// `EAGAIN` so early after the machine's start that the kernel has none yet: it is not waited for.
pub fn random_bytes(buffer: &mut [u8]) -> Result<(), Errno> {
    let mut filled = 0;
    while filled < buffer.len() {
        filled += retry_on_intr(|| getrandom(&mut buffer[filled..], GetRandomFlags::NONBLOCK))?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_byte_is_filled() {
        let mut buffer = [[0; 1000]; 2];
        for half in &mut buffer {
            random_bytes(half).unwrap();
            assert!(half.iter().filter(|byte| **byte == 0).count() < 50);
        }
        assert_ne!(buffer[0], buffer[1]);
        random_bytes(&mut []).unwrap();
    }
}
