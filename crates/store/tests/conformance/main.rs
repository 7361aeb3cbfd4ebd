//! What every storage engine must do, whatever it is made of. PostgreSQL will run the same cases.

mod histories;
mod queues;
mod recovery;
mod safety;
mod side_state;
mod support;
mod versions;
