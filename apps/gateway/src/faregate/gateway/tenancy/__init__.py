"""Many tenants behind one port."""
