//! Real time: real worker and function processes against the embedded queue, in scenario time.

pub mod clock;
pub mod guard;
pub mod kubernetes;
