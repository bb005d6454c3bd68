"""Insights: forecasts, run-out dates, anomalies, cohorts, churn, segments, upsell."""
