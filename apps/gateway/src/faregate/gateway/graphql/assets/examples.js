// Queries to begin with.

export const EXAMPLES = [
  ["Who am I?", "{\n  caller { userId scopes roles }\n}\n"],
  ["Latest uses", "{\n  usage(limit: 10) {\n    items { usageKey userId featureKey creditsCharged executedAt }\n    nextCursor\n  }\n}\n"],
  ["One use", "query ($key: ID!) {\n  story(usageKey: $key) {\n    status hold creditsCharged\n    lines { model inputTokens outputTokens credits }\n    transactions { kind amount balance }\n  }\n}\n"],
  ["Own wallet", "{\n  wallet {\n    credits balance held\n    grants { source remaining expiresAt }\n    transactions(limit: 5) { items { kind amount balance executedAt } }\n  }\n}\n"],
  ["Analytics", "{\n  analytics {\n    metrics { totalRequests totalCredits errorRate }\n    models { model requests credits }\n    timeseries(groupBy: DAY) { period credits }\n  }\n}\n"],
];
