"""SQL that writes settled uses with lines and feedback."""

__all__ = ["ADD_FEEDBACK", "ADD_LINES", "ADD_USES"]

_USES = """
select n, 'bench-' || n as usage_key, s.ids[1 + n % cardinality(s.ids)] as subject_id, 'feature-' || n % 20 as feature_key,
  now() - (n::numeric / cast(:count as bigint)) * interval '27 days' - interval '1 day' as at,
  1000 + n % 3000 as input, 50 + n % 400 as output, (1000 + n % 3000) * 300 + (50 + n % 400) * 1200 as credits
from generate_series(1, cast(:count as bigint)) n
cross join (select array_agg(subject_id) as ids from faregate.subject where not starts_with(external_id, 'org:')) s
"""

ADD_USES = f"""
insert into faregate.charge (usage_key, wallet_id, subject_id, feature_key, rule, status, hold, consumed, charged, shortfall,
  duration_ms, created_at, closed_at, settled_at)
select usage_key, subject_id, subject_id, feature_key, 'individual', 1, 0, credits, credits, 0, 100 + n % 5000, at, at, at
from ({_USES}) u order by at
"""  # noqa: S608

ADD_LINES = f"""
insert into faregate.usage_line (usage_key, line_no, model, provider, tokens, provider_cost_usd, input_cost_usd, output_cost_usd,
  margin_percent, credit_price_usd, credits, price_version, settled_at)
select usage_key, 0, m.model, m.provider,
  jsonb_build_object('input_tokens', input, 'output_tokens', output) ||
    case when n % 4 = 0 then jsonb_build_object('cache_read_tokens', input / 2) else '{{}}'::jsonb end,
  (input * 2.5 + output * 10) / 1000000, input * 2.5 / 1000000, output * 10.0 / 1000000, 20, 0.01, credits,
  'bench', at
from ({_USES}) u join (values (0, 'gpt-4o', 'openai'), (1, 'gpt-4o-mini', 'openai'), (2, 'claude-sonnet-4-5', 'anthropic'),
  (3, 'gemini-2.5-pro', 'google'), (4, 'gpt-5', 'openai')) as m (place, model, provider) on m.place = n % 5
order by at
"""  # noqa: S608

ADD_FEEDBACK = f"""
insert into faregate.feedback (usage_key, subject_id, feature_key, score, created_at, updated_at)
select usage_key, subject_id, feature_key, 1 + n % 5, at, at from ({_USES}) u where n % 5 = 0 order by at
"""  # noqa: S608
