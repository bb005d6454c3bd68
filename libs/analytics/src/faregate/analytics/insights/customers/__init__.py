"""Cohorts, churn risk, segments and upsell of users."""
