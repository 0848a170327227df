# Which scripts still work at maxmemory, on Redis 7.0 and Valkey 9? And: does a write that is not denyoom in front mend node_beat.lua?
from lib import *
VK=VALKEY
for B in filter(shutil.which,('redis-server',VK)):
    r=server(binary=B); q=Q(r); group(r,q); J=b'J'*16
    rid=[v for k,v in r.info('replication').items() if k=='master_replid'][0]
    r.zadd('n',{'a':1}); r.hset(q.bodies,J,head()+env(J)); r.zadd(q.due,{J:1}); r.hset(q.dead_bodies,b'D'*16,b'x'); r.zadd(q.dead,{b'D'*16:5})
    for i in range(6): r.xadd(q.lanes[3],{'j':env(bytes([65+i])*16)})
    ids=[x[0] for x in r.xreadgroup('workers','A',{q.lanes[3]:'>'},count=4)[0][1]]
    r.config_set('maxmemory',1); r.config_set('maxmemory-policy','noeviction')
    mk=[q.lanes[3],q.due,q.bodies,q.dead,q.dead_bodies,q.stats,*q.lanes,q.cancelled,q.index,q.dropped,q.lease]
    def t(n,f):
        try: print(f'  {n:34s} ok {str(f())[:60]}')
        except Exception as e: print(f'  {n:34s} {str(e)[:50]}')
    print(os.path.basename(B))
    t('XREADGROUP (claim)',lambda:r.xreadgroup('workers','A',{q.lanes[3]:'>'},count=1))
    t('complete',lambda:q.run('complete',[q.lanes[3],q.stats],[rid,'','',ids[0]]))
    t('settle gone',lambda:q.run('settle',mk,['A',10,q.control,'','',settlement(ids[1],b'B'*16,'completed',if_cancelled=None)]))
    t('settle lane',lambda:q.run('settle',mk,['A',10,q.control,'','',settlement(ids[2],b'C'*16,'handed_back',['to_lane',head(0)])]))
    t('settle due',lambda:q.run('settle',mk,['A',10,q.control,'','',settlement(ids[3],b'D'*16,'retried',['to_due',head(3,fail=1),0])]))
    t('promote',lambda:q.run('promote',[q.due,q.bodies,*q.lanes,q.stats],[200,'']))
    t('node_beat',lambda:q.run('node_beat',['n','m'],['a',8000,60000]))
    t('node_mark_dead',lambda:q.run('node_mark_dead',['n','m','ab'],['a','1',1000]))
    t('leader_elect',lambda:q.run('leader_elect',[q.leader,q.meta],['a',15000,'']))
    t('GETEX (renew)',lambda:r.execute_command('GETEX',q.leader,'PX',1000))
    t('slot_acquire',lambda:q.run('slot_acquire',[q.lease,q.lanes[0],q.lanes[3]],['A','']))
    t('pool_meet join',lambda:q.run('pool_join',[q.meta,q.members],['A','join',15000]))
    t('cancel (order)',lambda:q.run('cancel',[q.lanes[3],q.due,q.bodies,q.dead,q.cancelled,q.stats,q.meta,q.result(J),q.index,q.dropped],[b'Z'*16,'','','',b'','',q.control,0,1000,'1','']))
    t('SADD queues (register)',lambda:q.run('write',['x'],['SADD','q']))
    t('XGROUP CREATE',lambda:q.run('write',['zz'],['XGROUP CREATE','workers','0','MKSTREAM']))
    t('beat, ZREM in front',lambda:q.run('node_beat',['n','m'],['a',8000,60000],"redis.call('ZREM', KEYS[1], '')\n"+src('node_beat')))
    t('promote, ZREM in front',lambda:q.run('promote',[q.due,q.bodies,*q.lanes,q.stats],[200,''],"redis.call('ZREM', KEYS[1], '')\n"+src('promote')))
