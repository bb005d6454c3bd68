-- Facts: one row per metered fact, for charts by any dimension
select time, kind, user_id, organization_id, service, feature_key, model, provider, meter, quantity, requests, calls,
       input_tokens, output_tokens, credits, charged_credits, provider_cost_usd, latency_ms, status >= 400 as is_error,
       country, device
from usage_events;

-- Ledger: one row per movement of credits
select created_at, owner_id, kind, debit_account, credit_account, credits, wallet_change, balance_after, usage_key, reason
from transfers;

-- Tokens by model, type and day
select date_trunc('day', settled_at) as day, model, token_type, sum(tokens) as tokens
from usage_line_tokens
group by 1, 2, 3;

-- Outcome of uses by hour
select date_trunc('hour', started_at) as hour, feature_key, status, count(*) as uses,
       sum(shortfall_credits) as shortfall_credits
from uses
group by 1, 2, 3;

-- Which grants pay: credits taken from each source by day
select date_trunc('day', tg.created_at) as day, g.source, -sum(tg.credits) as used_credits
from transfer_grants tg
join grants g on g.grant_id = tg.grant_id
where tg.credits < 0
group by 1, 2;

-- Members of organisations and what they used
select m.organization_id, m.organization_name, m.charging_policy, m.user_id, count(u.usage_key) as uses,
       sum(u.consumed_credits) as consumed_credits
from organization_members m
left join uses u on u.user_id = m.user_id and u.organization_id = m.organization_id
group by 1, 2, 3, 4;
