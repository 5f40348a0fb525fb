// Protocol checks of the embedded queue with the npm SDK v3: run with the endpoint URL and the folder of node_modules.
import assert from "node:assert/strict";
import { createRequire } from "node:module";

const [endpoint, modules] = process.argv.slice(2);
const { SQS } = createRequire(modules + "/")("@aws-sdk/client-sqs");
const sqs = new SQS({ endpoint, region: "us-east-1", maxAttempts: 1 });
let made = 0;
const queue = async (Attributes = {}) =>
  (await sqs.createQueue({ QueueName: `npm-${++made}${Attributes.FifoQueue ? ".fifo" : ""}`, Attributes })).QueueUrl;

const checks = {
  async "a message comes back whole, with the MD5s that the SDK checks"() {
    const QueueUrl = await queue();
    const MessageAttributes = {
      text: { DataType: "String", StringValue: "v" },
      bytes: { DataType: "Binary", BinaryValue: new Uint8Array([0, 255, 7]) },
    };
    const sent = await sqs.sendMessage({ QueueUrl, MessageBody: "hé 🚀", MessageAttributes });
    const { Messages } = await sqs.receiveMessage({ QueueUrl, MessageAttributeNames: ["All"], MessageSystemAttributeNames: ["All"] });
    assert.equal(Messages[0].Body, "hé 🚀");
    assert.equal(Messages[0].MD5OfMessageAttributes, sent.MD5OfMessageAttributes);
    assert.deepEqual([...Messages[0].MessageAttributes.bytes.BinaryValue], [0, 255, 7]);
    assert.equal(Messages[0].Attributes.ApproximateReceiveCount, "1");
  },
  async "a batch of ten is sent, received and deleted"() {
    const QueueUrl = await queue();
    const Entries = Array.from({ length: 10 }, (_, i) => ({ Id: `e${i}`, MessageBody: `b${i}` }));
    assert.equal((await sqs.sendMessageBatch({ QueueUrl, Entries })).Successful.length, 10);
    const { Messages } = await sqs.receiveMessage({ QueueUrl, MaxNumberOfMessages: 10 });
    assert.equal(Messages.length, 10);
    const deletes = Messages.map((m, i) => ({ Id: `d${i}`, ReceiptHandle: m.ReceiptHandle }));
    const deleted = await sqs.deleteMessageBatch({ QueueUrl, Entries: [...deletes.slice(1), { Id: "bad", ReceiptHandle: "x" }] });
    assert.equal(deleted.Successful.length, 9);
    assert.equal(deleted.Failed[0].Code, "ReceiptHandleIsInvalid");
  },
  async "errors are the SDK's own classes"() {
    await assert.rejects(sqs.getQueueUrl({ QueueName: "no-such" }), { name: "QueueDoesNotExist" });
    const QueueUrl = await queue();
    await assert.rejects(sqs.sendMessageBatch({ QueueUrl, Entries: [] }), { name: "EmptyBatchRequest" });
    await assert.rejects(sqs.deleteMessage({ QueueUrl, ReceiptHandle: "x" }), { name: "ReceiptHandleIsInvalid" });
    await assert.rejects(sqs.receiveMessage({ QueueUrl, MaxNumberOfMessages: 11 }), (error) => /MaxNumberOfMessages/.test(error.message));
  },
  async "a long poll wakes on arrival"() {
    const QueueUrl = await queue();
    const poll = sqs.receiveMessage({ QueueUrl, WaitTimeSeconds: 20 });
    await sqs.sendMessage({ QueueUrl, MessageBody: "x" });
    assert.equal((await poll).Messages[0].Body, "x");
  },
  async "an aborted poll takes no message with it"() {
    const QueueUrl = await queue();
    const controller = new AbortController();
    const poll = sqs.receiveMessage({ QueueUrl, WaitTimeSeconds: 20 }, { abortSignal: controller.signal });
    setTimeout(() => controller.abort(), 100);
    await assert.rejects(poll, { name: "AbortError" });
    await sqs.sendMessage({ QueueUrl, MessageBody: "x" });
    // The server hears of the abort a moment later; whoever waits next gets the message.
    assert.equal((await sqs.receiveMessage({ QueueUrl, WaitTimeSeconds: 20 })).Messages[0].Body, "x");
  },
  async "fifo order and deduplication"() {
    const QueueUrl = await queue({ FifoQueue: "true", ContentBasedDeduplication: "true" });
    for (const MessageBody of ["a", "b", "a", "c"]) await sqs.sendMessage({ QueueUrl, MessageBody, MessageGroupId: "g" });
    const { Messages } = await sqs.receiveMessage({ QueueUrl, MaxNumberOfMessages: 10 });
    assert.deepEqual(Messages.map((m) => m.Body), ["a", "b", "c"]);
  },
  async "a dead letter comes back by a move task"() {
    const dlq = await queue();
    const { Attributes } = await sqs.getQueueAttributes({ QueueUrl: dlq, AttributeNames: ["QueueArn"] });
    const QueueUrl = await queue({
      VisibilityTimeout: "0",
      RedrivePolicy: JSON.stringify({ deadLetterTargetArn: Attributes.QueueArn, maxReceiveCount: 1 }),
    });
    await sqs.sendMessage({ QueueUrl, MessageBody: "x" });
    await sqs.receiveMessage({ QueueUrl });
    await sqs.receiveMessage({ QueueUrl });
    await sqs.startMessageMoveTask({ SourceArn: Attributes.QueueArn });
    assert.equal((await sqs.receiveMessage({ QueueUrl, WaitTimeSeconds: 20 })).Messages[0].Body, "x");
    const { Results } = await sqs.listMessageMoveTasks({ SourceArn: Attributes.QueueArn });
    assert.equal(typeof Results[0].StartedTimestamp, "number");
  },
  async "tags and attributes"() {
    const { QueueUrl } = await sqs.createQueue({ QueueName: "npm-tagged", tags: { a: "1" } });
    assert.deepEqual((await sqs.listQueueTags({ QueueUrl })).Tags, { a: "1" });
    await sqs.setQueueAttributes({ QueueUrl, Attributes: { VisibilityTimeout: "5" } });
    const { Attributes } = await sqs.getQueueAttributes({ QueueUrl, AttributeNames: ["VisibilityTimeout"] });
    assert.deepEqual(Attributes, { VisibilityTimeout: "5" });
  },
};

let failed = 0;
for (const [name, check] of Object.entries(checks)) {
  try {
    await check();
    console.log("ok  ", name);
  } catch (error) {
    failed += 1;
    console.log("FAIL", name, error);
  }
}
process.exit(failed ? 1 : 0);
