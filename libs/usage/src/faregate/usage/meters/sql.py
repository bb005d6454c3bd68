"""SQL of declared meters."""

__all__ = ["ALL", "PUT"]

ALL = "select name, unit, aggregation, unit_price_usd, description from faregate.usage_meter"

PUT = """
insert into faregate.usage_meter (name, unit, aggregation, unit_price_usd, description)
values (:name, :unit, :aggregation, cast(:unit_price_usd as numeric), cast(:description as text))
on conflict (name) do update set unit = excluded.unit, aggregation = excluded.aggregation,
  unit_price_usd = excluded.unit_price_usd, description = excluded.description, updated_at = now()
"""
