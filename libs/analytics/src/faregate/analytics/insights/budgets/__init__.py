"""Budgets of features, models, organisations and the business."""
