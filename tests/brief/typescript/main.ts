/**
 * Runs the utilities as a service of somebody else's would, one line of JSON per step.
 * The usage example's free names (`callLLM`, `rabbitChannel`) are what its reader has to bring along.
 */
import amqp from 'amqplib';
import { CreditsService } from './CreditsService';
import { FeatureLogger } from './FeatureLogger';

const [brokerUrl, userId, poorId] = process.argv.slice(2);
const say = (step: string, data: unknown) => console.log(JSON.stringify({ step, data }));
const failure = async (work: Promise<unknown>) => work.then(() => 'no failure', (error) => error.message);

const connection = await amqp.connect(brokerUrl);
const rabbitChannel = await connection.createConfirmChannel();
const callLLM = async (prompt: string) => ({ model: 'gpt-4o', prompt_tokens: 1000, completion_tokens: 100, prompt });

/* USAGE EXAMPLE */

await runAIProcess(userId);
say('method A', await rabbitChannel.waitForConfirms().then(() => 'confirmed'));

const auth = await CreditsService.authorize({ user_id: userId, feature_endpoint_id: 'ai_chat_v1' });
say('authorize', auth);
const usages = [{ ai_model: 'gpt-4o', input_tokens: 1000, output_tokens: 100 }];
const settlement = { user_id: userId, usage_key: auth.usage_key, feature_endpoint_id: 'ai_chat_v1', usages };
say('method B', await CreditsService.settleViaAPI(settlement));
say('method B again', await CreditsService.settleViaAPI(settlement));

say('refused', await failure(CreditsService.authorize({ user_id: poorId, feature_endpoint_id: 'ai_chat_v1' })));
say('unknown', await failure(CreditsService.authorize({ user_id: userId, feature_endpoint_id: 'nothing' })));
say('wrong settlement', await CreditsService.settleViaAPI({ user_id: userId }));

const log = {
  feature_endpoint_id: 'ai_chat_v1',
  feature_endpoint_value: 'ai_chat_v1',
  user_id: userId,
  user_email: 'ada@example.com',
  usage_key: auth.usage_key,
  method: 'POST',
  payload: { prompt: 'Hello, how can I help?' },
  response: { answer: 'Fine' },
  code: 201,
  status: 'success',
};
say('log by queue', FeatureLogger.dispatchToQueue(rabbitChannel, { ...log, endpoint: '/by-queue' }));
await rabbitChannel.waitForConfirms();
say('log by API', await FeatureLogger.dispatchToAPI({ ...log, endpoint: '/by-api' }));

await connection.close();
