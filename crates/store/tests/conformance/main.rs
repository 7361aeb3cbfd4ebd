//! What every storage engine must do, whatever it is made of. PostgreSQL will run the same cases.

mod counters;
mod histories;
mod queues;
mod recovery;
mod safety;
mod side_state;
mod small;
mod support;
mod versions;
