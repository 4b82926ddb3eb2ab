import { createAnthropic } from "@ai-sdk/anthropic";
import { createOpenAICompatible } from "@ai-sdk/openai-compatible";
import { generateObject, generateText, jsonSchema, stepCountIs, streamText, tool } from "ai";

const [url, key] = process.argv.slice(2);
const same = (found, wanted) => {
  if (JSON.stringify(found) !== JSON.stringify(wanted)) throw new Error(`${JSON.stringify(found)} is not ${JSON.stringify(wanted)}`);
};
const openai = createOpenAICompatible({ name: "ashlar", baseURL: `${url}/llm/v1`, apiKey: key, supportsStructuredOutputs: true });
const anthropic = createAnthropic({ baseURL: `${url}/llm/v1`, apiKey: key });
const prompt = "When is the tide high?";
const text = "The tide is high at noon.";
const object = jsonSchema({
  type: "object", properties: { port: { type: "string" }, hour: { type: "integer" } }, required: ["port", "hour"], additionalProperties: false,
});
const tide = () => tool({
  description: "The tide in a port.",
  inputSchema: jsonSchema({ type: "object", properties: { port: { type: "string" } }, required: ["port"] }),
  execute: async ({ port }) => `high in ${port} at noon`,
});
for (const provider of [openai, anthropic]) {
  const turn = { model: provider("fast"), prompt, maxRetries: 0, maxOutputTokens: 100 };
  const answer = await generateText(turn);
  same([answer.text, answer.usage.outputTokens], [text, 7]);
  const streamed = streamText(turn);
  let pieces = "";
  for await (const piece of streamed.textStream) pieces += piece;
  same([pieces, await streamed.finishReason], [text, "stop"]);
  const steps = await generateText({ ...turn, tools: { tide: tide() }, stopWhen: stepCountIs(3) });
  same([steps.steps.length, steps.steps[0].toolCalls[0].input, steps.text], [2, { port: "Kiel" }, text]);
  const live = streamText({ ...turn, tools: { tide: tide() }, stopWhen: stepCountIs(3) });
  for await (const _ of live.fullStream);
  same([(await live.steps)[0].toolCalls[0].input, await live.text], [{ port: "Kiel" }, text]);
  const made = await generateObject({ ...turn, schema: object });
  same([made.object.port, made.object.hour], ["Kiel", 12]);
  const failed = await generateText({ ...turn, model: provider("none") }).catch((error) => error);
  same([failed.statusCode, failed.message.includes("there is no model `none`")], [404, true]);
}
console.log("called");
