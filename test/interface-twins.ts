/** Two IDs of one short form, as somebody finds them who wants the name of another's interface. */
export const twins = ['router-amsterdam-190071', 'router-amsterdam-607709'] as const;
