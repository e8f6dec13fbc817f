// A charge, and one that the wallet cannot pay, with the types of openapi-typescript and the client of openapi-fetch.

import { strict as assert } from "node:assert";
import createClient from "openapi-fetch";
import type { paths } from "./openapi_typescript/wallet";

const client = createClient<paths>({
  baseUrl: process.env.WALLET_URL,
  headers: { Authorization: `Bearer ${process.env.WALLET_TOKEN}` },
});

async function charge(amount_yen: number, key: string) {
  return client.POST("/credit/charge", {
    body: { amount_yen, note: "openapi-typescript" },
    params: { header: { "Idempotency-Key": key } },
  });
}

async function main() {
  const paid = await charge(3, "openapi-typescript");
  assert(paid.data, JSON.stringify(paid.error));
  assert.equal(paid.data.replayed, false);

  const refused = await charge(1_000_000, "openapi-typescript, too much");
  assert(refused.error?.code === "insufficient_funds", JSON.stringify(refused.error));
  assert.equal(refused.error.missing_yen, 1_000_000 - paid.data.balance_yen);

  console.log(paid.data.balance_yen);
}

main().catch((error) => {
  console.error(error);
  process.exitCode = 1;
});
