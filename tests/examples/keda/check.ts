// Prints what is wrong with resources of KEDA, a JSON array in the file that is named, one line each.
import { readFileSync } from "node:fs";
import { ScaledObject, TriggerAuthentication } from "@kubernetes-models/keda/keda.sh/v1alpha1";

const kinds: Record<string, new (data: any) => { validate(): void }> = { ScaledObject, TriggerAuthentication };

for (const resource of JSON.parse(readFileSync(process.argv[2], "utf8"))) {
  try {
    new kinds[resource.kind](resource).validate();
    console.log(`${resource.kind}: valid`);
  } catch (error) {
    console.log(`${resource.kind}: ${(error as Error).message}`);
  }
}
