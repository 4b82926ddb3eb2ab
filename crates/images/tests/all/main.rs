//! Everything is tested from outside, with pictures made in code.
#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test may fail loudly, its helpers too")]

mod facts;
mod hostile;
mod make;
mod renditions;
mod svg;
