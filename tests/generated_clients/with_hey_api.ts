// A charge, and one that the wallet cannot pay, with the client of @hey-api/openapi-ts.

import { strict as assert } from "node:assert";
import { charge } from "./hey_api";
import { client } from "./hey_api/client.gen";

client.setConfig({ baseUrl: process.env.WALLET_URL, auth: process.env.WALLET_TOKEN });

async function main() {
  const paid = await charge({
    body: { amount_yen: 3, note: "@hey-api/openapi-ts" },
    headers: { "Idempotency-Key": "hey-api" },
  });
  assert(paid.data, JSON.stringify(paid.error));
  assert.equal(paid.data.replayed, false);

  const refused = await charge({
    body: { amount_yen: 1_000_000 },
    headers: { "Idempotency-Key": "hey-api, too much" },
  });
  assert(refused.error?.code === "insufficient_funds", JSON.stringify(refused.error));
  assert.equal(refused.error.missing_yen, 1_000_000 - paid.data.balance_yen);

  console.log(paid.data.balance_yen);
}

main().catch((error) => {
  console.error(error);
  process.exitCode = 1;
});
