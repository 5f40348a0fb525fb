// npm's sqs-consumer with a batch handler that does nothing, sixteen times at once, until it is killed.

import { GetQueueUrlCommand, SQSClient } from "@aws-sdk/client-sqs";
import { Consumer } from "sqs-consumer";

const CONSUMERS = 16;
const sqs = new SQSClient({});
const { QueueUrl: queueUrl } = await sqs.send(new GetQueueUrlCommand({ QueueName: "jobs" }));
for (let i = 0; i < CONSUMERS; i++) {
  const consumer = Consumer.create({ sqs, queueUrl, batchSize: 10, handleMessageBatch: async (messages) => messages });
  for (const event of ["error", "processing_error"]) {
    consumer.on(event, (error) => {
      console.error(error);
      process.exit(1);
    });
  }
  consumer.start();
}
