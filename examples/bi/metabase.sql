-- Revenue, provider cost and margin by day (credits at their price of each line)
select date_trunc('day', settled_at) as day,
       sum(credits * credit_price_usd) as revenue_usd,
       sum(provider_cost_usd) as provider_cost_usd,
       sum(credits * credit_price_usd) - sum(provider_cost_usd) as margin_usd,
       count(*) filter (where not is_priced) as lines_without_price
from usage_lines
group by 1
order by 1;

-- The 20 users who were charged most in the last 30 days
select user_id, sum(charged_credits) as charged_credits, count(*) as uses
from uses
where status = 'settled' and settled_at >= now() - interval '30 days'
group by 1
order by 2 desc
limit 20;

-- Credits by feature and month
select date_trunc('month', settled_at) as month, feature_key, sum(charged_credits) as charged_credits, count(*) as uses
from uses
where status = 'settled'
group by 1, 2
order by 1, 3 desc;

-- Grants that expire within 30 days
select owner_id, source, remaining_credits, expires_at
from grants
where is_active and remaining_credits > 0 and expires_at < now() + interval '30 days'
order by expires_at;

-- Wallets that cover less than a week at their pace of the last 30 days
with pace as (
  select payer_id, sum(charged_credits) / 30 as credits_per_day
  from uses
  where status = 'settled' and settled_at >= now() - interval '30 days'
  group by 1
)
select w.owner_id, w.plan, w.balance - w.held_credits as free_credits, p.credits_per_day,
       (w.balance - w.held_credits) / p.credits_per_day as days_left
from wallets w
join pace p on p.payer_id = w.owner_id
where p.credits_per_day > 0 and w.balance - w.held_credits < 7 * p.credits_per_day
order by days_left;

-- Provider bills beside the ledger, by provider and day (UTC): `faregate bills compare` names the differences
with billed as (
  select provider, (start_at at time zone 'UTC')::date as day, sum(cost_usd) as billed_usd
  from provider_bill_lines
  group by 1, 2
), used as (
  select provider, (settled_at at time zone 'UTC')::date as day, sum(provider_cost_usd) as ledger_usd
  from usage_lines
  group by 1, 2
)
select b.provider, b.day, b.billed_usd, u.ledger_usd, b.billed_usd - coalesce(u.ledger_usd, 0) as difference_usd
from billed b
left join used u using (provider, day)
order by b.day, b.provider;

-- Features that are in use, with what was charged for them in the last 30 days
select f.feature_key, f.name, f.strategy, f.is_active, coalesce(sum(u.charged_credits), 0) as charged_credits
from features f
left join uses u on u.feature_key = f.feature_key and u.settled_at >= now() - interval '30 days'
group by 1, 2, 3, 4
order by 5 desc;
