// A day's ordinary work with the npm SDK v2, by the Query protocol: run with the endpoint URL and the folder of node_modules.
const assert = require("node:assert/strict");
const [endpoint, modules] = process.argv.slice(2);
process.env.AWS_SDK_JS_SUPPRESS_MAINTENANCE_MODE_MESSAGE = "1";
const AWS = require("node:module").createRequire(modules + "/")("aws-sdk");
const sqs = new AWS.SQS({ endpoint, region: "us-east-1", maxRetries: 0 });
assert.equal(sqs.api.protocol, "query");
const refused = (code, call) => assert.rejects(call.promise(), (error) => (assert.equal(error.code, code), error.statusCode >= 400));

(async () => {
  const { QueueUrl } = await sqs.createQueue({ QueueName: "npm2", Attributes: { VisibilityTimeout: "60" }, tags: { a: "1" } }).promise();
  assert.deepEqual((await sqs.listQueueTags({ QueueUrl }).promise()).Tags, { a: "1" });
  assert.deepEqual((await sqs.listQueues({ QueueNamePrefix: "npm2" }).promise()).QueueUrls, [QueueUrl]);
  assert.equal((await sqs.getQueueUrl({ QueueName: "npm2" }).promise()).QueueUrl, QueueUrl);
  await sqs.setQueueAttributes({ QueueUrl, Attributes: { VisibilityTimeout: "50" } }).promise();
  const { Attributes } = await sqs.getQueueAttributes({ QueueUrl, AttributeNames: ["All"] }).promise();
  assert.equal(Attributes.VisibilityTimeout, "50");

  const MessageBody = "hé <&>\r\n\t\"🚀\" a+b=c%20";
  const MessageAttributes = {
    text: { DataType: "String", StringValue: "v & w" },
    bytes: { DataType: "Binary", BinaryValue: Buffer.from([0, 255]) },
  };
  await sqs.sendMessage({ QueueUrl, MessageBody, MessageAttributes }).promise();
  const all = { QueueUrl, AttributeNames: ["All"], MessageAttributeNames: ["All"] };
  const [got] = (await sqs.receiveMessage(all).promise()).Messages;
  assert.equal(got.Body, MessageBody);
  assert.deepEqual([...got.MessageAttributes.bytes.BinaryValue], [0, 255]);
  assert.equal(got.MessageAttributes.text.StringValue, "v & w");
  assert.equal(got.Attributes.ApproximateReceiveCount, "1");
  await sqs.changeMessageVisibility({ QueueUrl, ReceiptHandle: got.ReceiptHandle, VisibilityTimeout: 0 }).promise();
  const [again] = (await sqs.receiveMessage({ QueueUrl }).promise()).Messages;
  await sqs.deleteMessage({ QueueUrl, ReceiptHandle: again.ReceiptHandle }).promise();
  assert.equal((await sqs.receiveMessage({ QueueUrl }).promise()).Messages, undefined);

  const Entries = Array.from({ length: 9 }, (_, i) => ({ Id: `m${i}`, MessageBody: `body ${i}` }));
  const sent = await sqs.sendMessageBatch({ QueueUrl, Entries: [...Entries, { Id: "bad", MessageBody: "x", DelaySeconds: 1000 }] }).promise();
  assert.equal(sent.Successful.length, 9);
  assert.deepEqual(sent.Failed.map((entry) => [entry.Id, entry.Code, entry.SenderFault]), [["bad", "InvalidParameterValue", true]]);
  const { Messages } = await sqs.receiveMessage({ QueueUrl, MaxNumberOfMessages: 10, WaitTimeSeconds: 1 }).promise();
  assert.deepEqual(Messages.map((m) => m.Body).sort(), Entries.map((entry) => entry.MessageBody));
  const deletes = Messages.map((m, i) => ({ Id: `d${i}`, ReceiptHandle: m.ReceiptHandle })).slice(1);
  const deleted = await sqs.deleteMessageBatch({ QueueUrl, Entries: [...deletes, { Id: "bad", ReceiptHandle: "x" }] }).promise();
  assert.equal(deleted.Successful.length, 8);
  assert.equal(deleted.Failed[0].Code, "ReceiptHandleIsInvalid");

  const fifo = (await sqs.createQueue({ QueueName: "npm2.fifo", Attributes: { FifoQueue: "true", ContentBasedDeduplication: "true" } }).promise()).QueueUrl;
  for (const MessageBody of "abac") await sqs.sendMessage({ QueueUrl: fifo, MessageBody, MessageGroupId: "g" }).promise();
  const inOrder = (await sqs.receiveMessage({ QueueUrl: fifo, MaxNumberOfMessages: 10 }).promise()).Messages;
  assert.deepEqual(inOrder.map((m) => m.Body), ["a", "b", "c"]);

  const dead = (await sqs.createQueue({ QueueName: "npm2-dead" }).promise()).QueueUrl;
  const arn = (await sqs.getQueueAttributes({ QueueUrl: dead, AttributeNames: ["QueueArn"] }).promise()).Attributes.QueueArn;
  const RedrivePolicy = JSON.stringify({ deadLetterTargetArn: arn, maxReceiveCount: 1 });
  const work = (await sqs.createQueue({ QueueName: "npm2-work", Attributes: { RedrivePolicy, VisibilityTimeout: "0" } }).promise()).QueueUrl;
  await sqs.sendMessage({ QueueUrl: work, MessageBody: "poison" }).promise();
  await sqs.receiveMessage({ QueueUrl: work }).promise();
  await sqs.receiveMessage({ QueueUrl: work }).promise();
  await sqs.startMessageMoveTask({ SourceArn: arn }).promise();
  const [back] = (await sqs.receiveMessage({ QueueUrl: work, WaitTimeSeconds: 20 }).promise()).Messages;
  assert.equal(back.Body, "poison");

  await refused("AWS.SimpleQueueService.NonExistentQueue", sqs.getQueueUrl({ QueueName: "no-such" }));
  await refused("ReceiptHandleIsInvalid", sqs.deleteMessage({ QueueUrl, ReceiptHandle: "x" }));
  await refused("QueueAlreadyExists", sqs.createQueue({ QueueName: "npm2", Attributes: { VisibilityTimeout: "1" } }));
  await refused("AWS.SimpleQueueService.EmptyBatchRequest", sqs.sendMessageBatch({ QueueUrl, Entries: [] }));
  await sqs.purgeQueue({ QueueUrl }).promise();
  await refused("AWS.SimpleQueueService.PurgeQueueInProgress", sqs.purgeQueue({ QueueUrl }));
  await sqs.deleteQueue({ QueueUrl }).promise();
  console.log(`ok   aws-sdk ${AWS.VERSION} by the ${sqs.api.protocol} protocol`);
})().catch((error) => {
  console.log("FAIL", error);
  process.exit(1);
});
