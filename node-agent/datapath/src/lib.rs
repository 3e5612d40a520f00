//! The agent's side of the data plane: loads a plan into the kernel, runs test packets through it, attaches it.

pub mod load;
pub mod object;
pub mod test_run;
