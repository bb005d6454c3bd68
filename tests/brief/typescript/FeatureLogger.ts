/**
 * FeatureLogger.ts - A generic logging utility
 */

const LOG_CONFIG = {
  API_URL: 'https://zaaz-payment-engine.com/api/feature-usage-logs',
  API_KEY: 'your_secure_server_key',
  RMQ_QUEUE: 'feature_usage_queue',
};

export class FeatureLogger {
  /**
   * Method A: Background Logging (Recommended)
   */
  static dispatchToQueue(amqpChannel: any, log: any) {
    try {
      const buffer = Buffer.from(JSON.stringify(log));
      return amqpChannel.sendToQueue(LOG_CONFIG.RMQ_QUEUE, buffer, {
        persistent: true,
      });
    } catch (err) {
      console.error('Failed to publish log to queue:', err);
    }
  }

  /**
   * Method B: direct API Logging
   */
  static async dispatchToAPI(log: any) {
    try {
      const response = await fetch(LOG_CONFIG.API_URL, {
        method: 'POST',
        headers: {
          'Content-Type': 'application/json',
          'x-server-api-key': LOG_CONFIG.API_KEY,
        },
        body: JSON.stringify(log),
      });
      return await response.json();
    } catch (err) {
      console.error('Failed to send log via API:', err);
    }
  }
}
