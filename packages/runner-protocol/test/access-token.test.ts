import { beforeEach, describe, expect, it } from "@jest/globals";
import { AccessToken } from "../src/client/access-token.js";
import { GatewayError } from "../src/client/gateway-problems.js";

let now: number;
let asked: number;
let answer: () => Promise<{ text: string; lifetimeMs: number }>;
let token: AccessToken;

beforeEach(() => {
  [now, asked] = [0, 0];
  answer = async () => ({ text: `token-${asked}`, lifetimeMs: 1_000_000 });
  token = new AccessToken(
    () => {
      asked++;
      return answer();
    },
    () => now,
  );
});

const refused = () => Promise.reject(new GatewayError("CREDENTIALS_REFUSED", "no"));
const away = () => Promise.reject(new GatewayError("UNREACHABLE", "away"));

describe("an access token", () => {
  it("is fetched once for all who need it at the same time, and serves until most of its life is over", async () => {
    expect(await Promise.all([token.get(), token.get(), token.get()])).toEqual(["token-1", "token-1", "token-1"]);
    now = 749_000;
    expect(await token.get()).toBe("token-1");
    now = 751_000;
    expect(await token.get()).toBe("token-2");
    expect(asked).toBe(2);
  });

  it("serves to its end while no new one can be had, which is not asked for all the time (F41)", async () => {
    await token.get();
    answer = away;
    now = 800_000;
    expect([await token.get(), await token.get()]).toEqual(["token-1", "token-1"]);
    expect(asked).toBe(2);
    now = 1_000_001;
    await expect(token.get()).rejects.toMatchObject({ code: "UNREACHABLE" });
  });

  it("is fetched anew once it was refused, and only then", async () => {
    await token.get();
    token.drop("another");
    expect(await token.get()).toBe("token-1");
    token.drop("token-1");
    expect(await token.get()).toBe("token-2");
  });

  it("does not send a refused secret again for a while that grows, and recovers (F41)", async () => {
    answer = refused;
    const sentAt: number[] = [];
    for (; now < 200_000; now += 1_000) {
      const before = asked;
      await expect(token.get()).rejects.toMatchObject({ code: "CREDENTIALS_REFUSED" });
      if (asked > before) sentAt.push(now / 1_000);
    }
    expect(sentAt).toEqual([0, 5, 15, 35, 75, 135, 195]);
    expect(token.isRefused).toBe(true);
    answer = async () => ({ text: "right", lifetimeMs: 1_000 });
    now = 300_000;
    expect(await token.get()).toBe("right");
    expect(token.isRefused).toBe(false);
  });
});
