"""Commands about features, plans, prices, meters and organisations."""
