"""Price rules: overrides, margins, tiers, rounding. Pure."""
