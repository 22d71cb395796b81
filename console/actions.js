// Every change that the console can request, as the request that is shown and sent. The API alone
// decides what is valid. keyed: the route takes an Idempotency-Key. matched: it takes If-Match.
// typed: the name that a person types again before it is sent.

const change = (title, method, path, body, more = {}) => ({ title, method, path, body, keyed: true, matched: true, ...more });
const cluster = (name, ...rest) => ["clusters", name, ...rest];

export const scaleBrokers = (name, count) =>
  change(`Scale ${name} to ${count} brokers`, "PUT", cluster(name, "brokers"), { count });

export const scalePartitions = (name, partitions) =>
  change(`Add partitions to ${name}: ${partitions} in all`, "PUT", cluster(name, "partitions"), { partitions }, {
    typed: name, note: "Partitions cannot be removed again.",
  });

export const restart = (name, service, broker) =>
  change(`Restart ${service} of ${name}`, "POST", cluster(name, "restart"), broker === "" ? { service } : { service, broker });

export const rotate = (name, secrets) =>
  change(`Rotate passwords of ${name}`, "POST", cluster(name, "rotation"), secrets.length ? { secrets } : {}, {
    note: secrets.length ? "" : "Without a choice, all passwords are rotated.",
  });

export const openManagement = (name, minutes, cidr) =>
  change(`Open the management API of ${name} for ${minutes} minutes`, "PUT", cluster(name, "management-access"), cidr ? { minutes, cidrs: [cidr] } : { minutes }, {
    typed: name, note: "It has no authentication: every client that reaches it can delete all data. Without a range, the VPC is let in.",
  });

export const closeManagement = (name) => change(`Close the management API of ${name}`, "DELETE", cluster(name, "management-access"), {});

export const takeBackup = (name) =>
  change(`Take a backup of ${name}`, "POST", cluster(name, "backups"), {}, { note: "A snapshot of the database, then a backup of the brokers. No task is changed." });

export const deleteBackup = (name, id) =>
  change(`Delete backup ${id} of ${name}`, "DELETE", cluster(name, "backups", id), { confirm: name }, { typed: name, note: "Its snapshot of the database is deleted with it." });

export const planFormer = (name) =>
  change(`List what restores of ${name} have replaced`, "DELETE", cluster(name, "former-data"), { dryRun: true }, { note: "A list changes nothing." });

export const deleteFormer = (name) =>
  change(`Delete what restores of ${name} have replaced`, "DELETE", cluster(name, "former-data"), { confirm: name }, { typed: name, note: "Former databases are deleted, each after a final snapshot, and buckets of former leases." });

const restored = ({ backup, to, again }) =>
  ({ ...(backup ? { backup: Number(backup) } : {}), ...(to ? { to } : {}), ...(again ? { again: true } : {}) });

export const planRestore = (name, given) =>
  change(`Plan a restore of ${name}`, "POST", cluster(name, "restores"), { ...restored(given), dryRun: true }, { note: "A plan changes nothing." });

export const restore = (name, given) =>
  change(`Restore ${name}`, "POST", cluster(name, "restores"), { confirm: name, ...restored(given) }, { typed: name, note: "Brokers and connectors stop, and everything after that backup is gone for applications and users." });

export const planRehearsal = (name) =>
  change(`Plan a rehearsal of ${name}`, "POST", cluster(name, "rehearsals"), { dryRun: true }, { note: "A plan changes nothing." });

export const rehearse = (name) =>
  change(`Rehearse a restore of ${name}`, "POST", cluster(name, "rehearsals"), {}, { note: "A backup is restored into a trial, which is compared and removed. It costs what the cluster costs without connectors for as long." });

export const plan = (name, body) => change(`Plan for ${name}`, "POST", cluster(name, "plans"), body, { note: "A plan changes nothing." });

export const freeze = (name, reason) =>
  change(`Freeze ${name}`, "PUT", cluster(name, "freeze"), { reason }, { keyed: false, note: "Every change is rejected until the freeze is lifted." });

export const thaw = (name) => change(`Lift the freeze of ${name}`, "DELETE", cluster(name, "freeze"), undefined, { keyed: false });

export const tearDown = (name, approves) =>
  change(`Tear ${name} down`, "DELETE", cluster(name), { confirm: name, ...approves }, { typed: name, note: "The cluster is removed." });

export const provision = (name, body, dangerous) =>
  change(`Apply the plan to ${name}`, "PUT", cluster(name), body, dangerous ? { typed: name, note: "The plan replaces or removes what holds data or runs brokers." } : {});

const operation = (title, id, verb) =>
  change(title, "POST", ["operations", id, verb], undefined, { keyed: false, matched: false });
export const cancel = (id) => operation(`Cancel ${id}`, id, "cancel");
export const resume = (id) => operation(`Resume ${id}`, id, "resume");

/** What applies a plan that is READY; review names it as approved by another principal. */
export function apply(found, review) {
  const { clusterName, ...body } = found.apply;
  const approves = review ? { approves: found.operationId } : {};
  if (found.kind === "teardown") return tearDown(clusterName, approves);
  if (found.kind !== "scale") {
    const gone = (one) => ["remove", "replace", "may replace"].includes(one.action) && (one.holdsData || one.runsBrokers);
    return provision(clusterName, body, (found.changes || []).some(gone));
  }
  return found.unit === "partitions"
    ? { ...scalePartitions(clusterName, body.partitions), body: { ...body, ...approves } }
    : { ...scaleBrokers(clusterName, body.count), body: { ...body, ...approves } };
}

/** The request as it is sent: {method, path, headers, text}. etag and key where the route takes them. */
export function requestOf(action, { etag, key }) {
  const headers = {
    ...(action.keyed ? { "Idempotency-Key": key } : {}),
    ...(action.matched && etag ? { "If-Match": etag } : {}),
  };
  const text = action.body === undefined ? undefined : JSON.stringify(action.body, null, 1);
  return { method: action.method, path: action.path, headers, text };
}
