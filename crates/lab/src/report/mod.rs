//! Reports: one [`Run`](crate::run::Run) in, bytes out. They measure and compute nothing of their own.

pub mod advice;
pub mod break_even;
pub mod decision;
pub mod figures;
pub mod gate;
pub mod headline;
pub mod html;
pub mod markdown;
pub mod text;
pub mod verdict;
