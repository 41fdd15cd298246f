// A run through LangGraph's SDK for JavaScript: schemas, an interrupt for each cell, approved by id, answer, history.
//
// RLM_URL and RLM_TOKEN name the server, as `rlm dev --json` prints them; its settings name the model. Prints one line
// of JSON; ends with 1, and says why, when something is not as it should be.
import assert from "node:assert/strict";
import { Client } from "@langchain/langgraph-sdk";

const QUESTION = "How many lines are there?";
const CONTEXT = "one\ntwo\nthree";
const MOST_CELLS = 10;

const { RLM_URL, RLM_TOKEN } = process.env;
assert(RLM_URL && RLM_TOKEN, "RLM_URL and RLM_TOKEN name the server");
const client = new Client({ apiUrl: RLM_URL, apiKey: RLM_TOKEN });

async function schemas() {
  const { assistant_id } = (await client.assistants.search({ graphId: "rlm" }))[0];
  const { input_schema } = await client.assistants.getSchemas(assistant_id);
  const fields = Object.keys(input_schema.properties);
  for (const name of ["question", "context", "approve"]) {
    assert(fields.includes(name), `the input has no ${name}`);
    assert(input_schema.properties[name].title, `${name} has no title`);
  }
  return fields;
}

async function waiting(thread) {
  const { interrupts } = await client.threads.get(thread);
  return Object.values(interrupts ?? {}).flat();
}

async function approve(thread, { id, value }) {
  assert(id, "an interrupt without an id");
  assert.match(value.shown, /^[0-9a-f]{64}$/);
  for (const { name, args, description } of value.action_requests) {
    assert.equal(name, "execute_code");
    assert.equal(typeof args.code, "string");
    assert.equal(typeof description, "string");
    const config = value.review_configs.find(({ action_name }) => action_name === name);
    assert(config.allowed_decisions.includes("approve"));
  }
  const decisions = value.action_requests.map(() => ({ type: "approve" }));
  await client.runs.wait(thread, "rlm", { command: { resume: { [id]: { decisions, shown: value.shown } } } });
}

async function run() {
  const { thread_id: thread } = await client.threads.create();
  await client.runs.wait(thread, "rlm", { input: { question: QUESTION, context: CONTEXT, approve: ["code"] } });
  let approved = 0;
  for (let open = await waiting(thread); open.length > 0; open = await waiting(thread)) {
    assert(approved < MOST_CELLS, `more than ${MOST_CELLS} cells`);
    assert.equal(open.length, 1, "one interrupt lists all that waits");
    await approve(thread, open[0]);
    approved += 1;
  }
  assert(approved > 0, "nothing waited for a person");
  return { thread, approved };
}

async function answered(thread) {
  const { values, next } = await client.threads.getState(thread);
  assert.deepEqual(next, [], "the run has not ended");
  assert.equal(values.status, "answered");
  return values.answer_value;
}

async function history(thread) {
  const steps = await client.threads.getHistory(thread, { limit: 100 });
  assert(steps.length > 3, "a history of few steps");
  const ids = steps.map(({ checkpoint }) => checkpoint.checkpoint_id);
  assert.equal(new Set(ids).size, ids.length, "a step twice");
  const times = steps.map(({ created_at }) => created_at);
  assert.deepEqual(times, times.toSorted().reverse(), "the latest step comes first");
  return steps.length;
}

const input = await schemas();
const { thread, approved } = await run();
console.log(
  JSON.stringify({ thread, input, approved, answer: await answered(thread), steps: await history(thread) }),
);
