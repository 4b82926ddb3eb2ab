//! Calls of models: one door with routes, prompts, budgets, redaction, grounding and a record of each call.

<<<<<<< HEAD
pub mod call;
=======
pub mod budget;
>>>>>>> main
pub mod config;
pub mod ground;
pub mod limits;
pub mod output;
pub mod policy;
pub mod price;
<<<<<<< HEAD
pub mod routing;
pub mod upstream;
pub mod wire;
=======
pub mod prompts;
>>>>>>> main
