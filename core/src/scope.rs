//! Which objects a constraint is about: Gatekeeper's match rules, and exemptions from them.
