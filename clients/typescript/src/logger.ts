/** Where the client reports what does not fail the host. */

export interface Logger {
  warn(message: string): void;
  error(message: string): void;
}

export const consoleLogger: Logger = {
  warn: (message) => console.warn(`faregate: ${message}`),
  error: (message) => console.error(`faregate: ${message}`),
};
