/**
 * CreditsService.ts
 * A generic wrapper for interacting with the Credits System.
 */

const CONFIG = {
  BASE_URL: 'https://api.yoursystem.com',
  API_KEY: 'your_secret_server_api_key',
};

export class CreditsService {
  /**
   * Phase I: Authorize access to a feature
   */
  static async authorize(payload: {
    user_id: string;
    feature_endpoint_id: string;
  }) {
    const response = await fetch(
      `${CONFIG.BASE_URL}/api/credits-process/start`,
      {
        method: 'POST',
        headers: {
          'Content-Type': 'application/json',
          'x-server-api-key': CONFIG.API_KEY,
        },
        body: JSON.stringify(payload),
      },
    );

    const result = await response.json();

    // Check if access is explicitly granted
    if (!result.success || result.data.status !== 'accessible') {
      throw new Error(
        result.data.message || 'Authorization failed: Insufficient Credits',
      );
    }

    return result.data; // Includes usage_key and current credits
  }

  /**
   * Phase II: Execute feature logic
   * ...
   */

  /**
   * Phase III (Method A): Publish to Queue for Asynchronous Settlement
   */
  static async settleViaQueue(
    rmqChannel: any,
    payload: {
      user_id: string;
      usage_key?: string;
      feature_endpoint_id: string;
      usages: Array<{
        ai_model: string;
        input_tokens: number;
        output_tokens: number;
      }>;
    },
  ) {
    const queueName = 'credits_process_end_multimodel_queue';

    // Ensure the payload is valid
    const message = Buffer.from(JSON.stringify(payload));

    // Publish to the queue
    return rmqChannel.sendToQueue(queueName, message, { persistent: true });
  }

  /**
   * Phase III (Method B): Direct API Settlement
   */
  static async settleViaAPI(payload: any) {
    const response = await fetch(
      `${CONFIG.BASE_URL}/api/credits-process/end-multimodel`,
      {
        method: 'POST',
        headers: {
          'Content-Type': 'application/json',
          'x-server-api-key': CONFIG.API_KEY,
        },
        body: JSON.stringify(payload),
      },
    );

    return await response.json();
  }
}
