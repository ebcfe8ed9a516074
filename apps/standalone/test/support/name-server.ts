import { once } from "node:events";
import dns from "dns2";

const { Packet } = dns;

/** An address, or another name that has the addresses. */
type Answers = readonly string[];

/** A real DNS server on loopback, which answers as a test says, never twice from a cache (TTL 0). */
export class NameServer implements AsyncDisposable {
  /** Every name that was asked for an IPv4 address. */
  readonly asked: string[] = [];
  readonly #names = new Map<string, Answers[]>();
  readonly #server = dns.createUDPServer((request, send) => void send(this.#answer(request)));

  static async start(): Promise<NameServer> {
    const server = new NameServer();
    await server.#server.listen(0, "127.0.0.1");
    return server;
  }

  get address(): string {
    return `127.0.0.1:${this.#server.address().port}`;
  }

  /** What a name stands for: the first look-up gets the first answers, and so on; the last ones stay. */
  name(name: string, ...answers: Answers[]): void {
    this.#names.set(name, answers);
  }

  #answer(request: InstanceType<typeof Packet>): InstanceType<typeof Packet> {
    const response = Packet.createResponseFromRequest(request);
    const { name = "", type } = request.questions[0] ?? {};
    const isV4 = type === Packet.TYPE.A;
    if (isV4) this.asked.push(name);
    const all = this.#names.get(name.toLowerCase());
    if (!all) response.header.rcode = Packet.RCODE.NXDOMAIN;
    // Both families are asked for at once: the question for IPv4 moves on to the next answers.
    const answers = (isV4 && all && all.length > 1 ? all.shift() : all?.[0]) ?? [];
    this.#add(response, name, answers, isV4);
    return response;
  }

  #add(response: InstanceType<typeof Packet>, name: string, answers: Answers, isV4: boolean): void {
    const common = { name, class: Packet.CLASS.IN, ttl: 0 };
    for (const answer of answers) {
      if (/^[0-9.]+$/.test(answer)) {
        if (isV4) response.answers.push({ ...common, type: Packet.TYPE.A, address: answer } as never);
      } else if (answer.includes(":")) {
        if (!isV4) response.answers.push({ ...common, type: Packet.TYPE.AAAA, address: answer } as never);
      } else {
        response.answers.push({ ...common, type: Packet.TYPE.CNAME, domain: answer } as never);
        this.#add(response, answer, this.#names.get(answer)?.[0] ?? [], isV4);
      }
    }
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#server.close();
    await once(this.#server, "close");
  }
}
