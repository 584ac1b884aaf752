//! Clients that mean no good, or whose line is bad. The ids are those of the fault matrix.

mod answers;
mod connections;
mod framing;
mod gone;
mod names;
mod overload;
mod raw;
mod readers;
mod sizes;
mod writers;
