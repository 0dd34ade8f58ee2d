//! Stores of objects (a bucket, a container, a folder) whose telemetry is fetched as it comes and grows.
//!
//! A round of a source lists what there is in each of its places and takes what is new: of lines what follows
//! the offset that is durable already, as long as what stands before it is what was taken; anything else whole.
//! What was taken is durable before that is noted, so after a crash some is taken again, which changes nothing.
//! What has not changed for long is not remembered object by object: everything is taken that changed last
//! before a certain time.

mod folder;
pub(crate) mod kept;
mod round;
mod store;
mod take;

#[cfg(test)]
mod tests;

pub(super) use round::Source;
