// A site that counts its visits in its storage.
const VERSION = "@VERSION@";
const UNHEALTHY = "@UNHEALTHY@" === "1";
const file = "/data/visits";

function visits(): number {
  try {
    return Number(Deno.readTextFileSync(file));
  } catch {
    return 0;
  }
}

Deno.serve({ port: Number(Deno.env.get("PORT") ?? "8080"), onListen: () => console.log(`site ${VERSION}: listening`) }, async (request) => {
  const url = new URL(request.url);
  switch (url.pathname) {
    case "/up":
      return new Response("", { status: UNHEALTHY ? 500 : 200 });
    case "/visit":
      Deno.writeTextFileSync(file, String(visits() + 1));
      return new Response(String(visits()));
    case "/visits":
      return new Response(String(visits()));
    case "/echo":
      return new Response(await request.arrayBuffer());
    case "/slow":
      await new Promise((done) => setTimeout(done, Number(url.searchParams.get("ms"))));
      return new Response(VERSION);
    case "/":
      return new Response(VERSION);
  }
  return new Response("", { status: 404 });
});
