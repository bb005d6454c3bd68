"""Schema of documented views for business intelligence tools."""
