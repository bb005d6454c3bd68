const runAIProcess = async (userId: string) => {
  // 1. Authorization
  const auth = await CreditsService.authorize({
    user_id: userId,
    feature_endpoint_id: 'ai_chat_v1',
  });

  // 2. Execution
  const llmResult = await callLLM('Hello, how can I help?');

  // 3. Settlement (Async via Queue)
  await CreditsService.settleViaQueue(rabbitChannel, {
    user_id: userId,
    usage_key: auth.usage_key,
    feature_endpoint_id: 'ai_chat_v1',
    usages: [
      {
        ai_model: llmResult.model,
        input_tokens: llmResult.prompt_tokens,
        output_tokens: llmResult.completion_tokens,
      },
    ],
  });
};
