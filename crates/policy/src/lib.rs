//! Permission decisions in Rego, in-process: may this caller do this?
//!
//! ```
//! use intelgraph_policy::{Bundle, Decider, Identity, Input, Resource, Source};
//!
//! let rules = r#"
//!     package intelgraph.authz
//!     default decision := {"allow": false, "reason": "PERMISSION_DENIED"}
//!     decision := {"allow": true, "reason": ""} if "analyst" in input.identity.roles
//! "#;
//! let tests = r#"
//!     package intelgraph.authz_test
//!     test_analysts if data.intelgraph.authz.decision.allow with input as {"identity": {"roles": ["analyst"]}}
//! "#;
//! let bundle = Bundle::load(vec![Source::new("authz.rego", rules), Source::new("authz_test.rego", tests)])?;
//! let decider = Decider::new(bundle);
//! let input = Input {
//!     permission: "entity.read",
//!     identity: Identity { tenant: "acme", subject: "ada", roles: ["analyst"].into(), ..Identity::default() },
//!     resource: Resource::default(),
//! };
//! assert!(decider.decide(&input).allow);
//! assert!(decider.decide(&input).cached);
//! # Ok::<(), intelgraph_policy::Faults>(())
//! ```
//!
//! # What holds
//! - A [`Bundle`] exists only if all of its modules compile (Rego v1) and all of its own tests pass. Its revision, the
//!   digest of its exact files, is in every decision.
//! - What is undefined is denied, and so is what fails: an error of a rule, a limit, an answer of another form.
//! - A tenant's own rules are compiled beside the platform's, for that tenant alone, in a package that nothing but the
//!   question "does any of them deny?" looks into: they take away, and give nothing.
//! - Decisions are remembered by the digest of exactly the parts of the input that the modules can read, found from
//!   their syntax. What reads the clock is decided anew each time.
//!
//! # Limits
//! Size, nesting and number of rules are bounded before anything is parsed or run, and the builtins are a closed list of
//! cheap and pure ones. No rule leads back to itself, and how much each leads to is bounded, so that rules of tenants fit
//! the deep stack that they are evaluated on. Evaluation is stopped by the clock between two steps of the interpreter. A
//! single step is not interrupted: values that are built by doubling and then compared can hold up the thread that asks.
//! So whoever evaluates a stranger's rules does it on a thread that it can do without, and closes the tenant's rules
//! ([`Bundle::closed`]) if that takes too long.
//!
//! Not in scope: fetching bundles, storing them, and who may change them. No I/O happens here but a look at the clock.

mod analysis;
mod builtins;
mod bundle;
mod decider;
mod decision;
mod definitions;
mod dependencies;
mod engine;
mod fault;
mod input;
mod reads;
mod source;
mod syntax;
mod tenant_rules;

pub use bundle::Bundle;
pub use decider::Decider;
pub use decision::{Decision, Reason};
pub use fault::{Fault, Faults};
pub use input::{Identity, Input, Resource};
pub use source::{MAX_BYTES, MAX_FILES, Source};
pub use tenant_rules::package_of;
