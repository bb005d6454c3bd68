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
