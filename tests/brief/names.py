"""Names in the original documents: functions, classes, endpoints, queues, fields, metrics, settings and thresholds."""

from itertools import chain

__all__ = ["FUNCTIONS", "NAMES"]

FUNCTIONS = (
    ["usage_init_batch", "usage_batch_add", "usage_batch_flush", "usage_batch_insert", "usage_cleanup_batch"]
    + ["usage_aggregate", "usage_aggregate_hourly", "usage_aggregate_daily", "usage_aggregate_monthly"]
    + ["usage_refresh_summary", "usage_get_all", "usage_get_service"]
    + ["usage_check_alerts", "usage_check_service_alert", "usage_trigger_alert", "usage_get_alerts"]
    + ["usage_export", "usage_export_csv", "usage_export_json", "usage_export_xlsx"]
    + ["usage_get_stats", "usage_get_trends", "usage_get_peaks", "usage_archive"]
    + [f"usage_track_{kind}" for kind in ("api", "storage", "bandwidth", "compute", "database", "functions")]
    + ["billing_usage_records"]
)
"""Functions of the metering document, its six tracking functions and its table."""

_CREDITS_PROCESS = (
    ["x-server-api-key", "BASE_URL", "API_KEY", "RabbitMQ", "rabbitChannel", "runAIProcess", "callLLM"],
    ["CreditsService", "CreditsService.authorize", "CreditsService.settleViaQueue", "CreditsService.settleViaAPI"],
    ["/start", "/api/credits-process/start", "/api/credits-process/end-multimodel", "/api/credits-process/end"],
    ["credits_process_end_multimodel_queue", "credits_process_end_queue"],
    ["user_id", "usage_key", "feature_endpoint_id", "usages", "ai_model", "input_tokens", "output_tokens"],
    ["success", "data.message", "status: accessible", "Insufficient Credits", "Holding Balance"],
    ["Model Cost", "Profit Margin", "Settlement Failures", "transaction history"],
)
_FEATURE_LOG = (
    ["FeatureLogger", "FeatureLogger.dispatchToQueue", "FeatureLogger.dispatchToAPI", "API_URL", "RMQ_QUEUE"],
    ["feature_usage_queue", "POST /api/feature-usage-logs", "feature_endpoint_value", "user_email", "method"],
    ["payload", "response", "code", "status", "Correlation", "Do Not Log Secrets", "Fail Gracefully"],
)
_ANALYTICS = (
    ["UsageLog", "recordUsage", "getUsageMetrics", "getUsageByService", "getUsageByModel", "getUsageTimeSeries"],
    ["getTopUsers", "getDashboardData", "getUsageDataForExport", "trackUsage", "trackMCPUsage"],
    [f"GET /api/analytics/{call}" for call in ("dashboard", "metrics", "services", "models", "timeseries")],
    [f"GET /api/analytics/{call}" for call in ("users/top", "export", "my-usage")],
    ["creditService.deductCredits", "Requests per user/day/month", "Token usage by model", "Average response time"],
    ["Error rate by provider", "Cost per request", "Service usage distribution", "Model popularity"],
    ["User activity patterns", "Geographic distribution", "Device/platform usage", "Cache hit rate", "ROI Analysis"],
    ["Daily Summaries", "Weekly Analytics", "Monthly Billing", "Churn Prediction", "User Segmentation"],
    ["Budget Planning", "Capacity Planning", "Incident Analysis", "SLA Monitoring", "Upsell Opportunities"],
    ["Machine Learning", "Anomaly Detection", "Sentiment Analysis", "Cohort Analysis", "WebSocket Integration"],
    ["Streaming Analytics", "Alert System", "Third-party Analytics", "BI Tool Integration", "Webhook Support"],
    ["Health Checks", "Audit Logging", "Data Isolation", "Rollback Plan", "Redis Integration", "Pagination"],
)
_LIBRARY = (
    ["UsageService", "FeatureFactory", "FeatureFactory.router()", "FeatureKey", "GENERATE_QUESTION_PAPER"],
    ["IFeatureStrategy", "GenerateQuestionPaperStrategy", "FeatureUsage", "CreditTransaction", "UsageModule"],
    ["@libs/usage", "@libs/usage/feature", "id", "userId", "organizationId", "featureKey", "creditsConsumed"],
    ["metadata", "executedAt", "Individual Users", "Organization Users", "TypeORM"],
)
_TRACKING = (
    FUNCTIONS,
    ["usage.sh", "usage-tracking-demo.sh", "materialized view", "NSELF_ROOT"],
    ["USAGE_BATCH_SIZE", "USAGE_BATCH_TIMEOUT", "USAGE_BATCH_FILE"],
    ["USAGE_ALERT_WARNING", "USAGE_ALERT_CRITICAL", "USAGE_ALERT_EXCEEDED", "75 %", "90 %", "100 %"],
    ["BILLING_DATA_DIR", "BILLING_CACHE_DIR", "BILLING_EXPORT_DIR", "50,000 records per second"],
    ["api", "storage", "bandwidth", "compute", "database", "functions", "TimescaleDB", "GraphQL API"],
    ["Usage dashboard UI", "Predictive quota warnings", "Usage anomaly detection", "Multi-tenant usage isolation"],
    ["Custom usage metrics", "Usage-based auto-scaling", "AI-powered usage optimization"],
)

NAMES = sorted({*chain(*_CREDITS_PROCESS, *_FEATURE_LOG, *_ANALYTICS, *_LIBRARY, *_TRACKING)})
"""Every name that the map must have a row for."""
